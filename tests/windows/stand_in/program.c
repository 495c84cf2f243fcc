/* A stand-in for the frozen programs, for the tests of what installs them: each call leaves a line in the file calls.txt
   of the user's temporary folder, with the folder that the program read its version from. Compiled with VERSION.

   kubiya-worker-desktop without a word, or with --at-login, runs until --quit is called; kubiya-worker start runs until it
   is killed; kubiya-worker purge removes the data of the user. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static void remember(int count, char **words, const char *name)
{
    char path[MAX_PATH];
    GetTempPathA(sizeof path, path);
    strcat(path, "calls.txt");
    FILE *file = fopen(path, "a");
    if (!file) return;
    fprintf(file, "%s %s", name, VERSION);
    for (int at = 1; at < count; at++) fprintf(file, " %s", words[at]);
    fprintf(file, "\n");
    fclose(file);
}

int main(int count, char **words)
{
    const char *name = strrchr(words[0], '\\') ? strrchr(words[0], '\\') + 1 : words[0];
    const char *word = count > 1 ? words[1] : "";
    int is_tray = strstr(name, "desktop") != 0;
    remember(count, words, is_tray ? "tray" : "worker");
    if (!strcmp(word, "--version")) return printf("%s\n", VERSION), 0;
    HANDLE leave = CreateEventA(0, TRUE, FALSE, "Local\\kubiya-stand-in-leaves");
    if (is_tray && !strcmp(word, "--quit")) {
        HANDLE runs = OpenEventA(SYNCHRONIZE, FALSE, "Local\\kubiya-stand-in-runs");
        if (!runs) return 3;
        SetEvent(leave);
        HANDLE left = OpenMutexA(SYNCHRONIZE, FALSE, "Local\\kubiya-stand-in");
        if (left) WaitForSingleObject(left, INFINITE);
        return 0;
    }
    if (is_tray) {
        HANDLE mutex = CreateMutexA(0, TRUE, "Local\\kubiya-stand-in");
        CreateEventA(0, TRUE, TRUE, "Local\\kubiya-stand-in-runs");
        WaitForSingleObject(leave, INFINITE);
        ReleaseMutex(mutex);
        return 0;
    }
    if (!strcmp(word, "stop")) return 3;
    if (!strcmp(word, "start")) Sleep(INFINITE);
    if (!strcmp(word, "purge")) {
        char path[MAX_PATH];
        ExpandEnvironmentStringsA("%LOCALAPPDATA%\\kubiya-worker\\config.toml", path, sizeof path);
        return DeleteFileA(path) ? 0 : 1;
    }
    return 0;
}
