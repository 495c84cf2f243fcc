/* powershell.exe: wine's own says nothing. This one hands what stands behind -Command to cmd: enough for commands that
   both know, such as echo and mkdir. Statements that set PowerShell itself up ("[...", "$...") and the one that passes
   the code on ("exit $LASTEXITCODE") are left out. */
#include <stdio.h>
#include <wchar.h>
#include <windows.h>
#include <shellapi.h>

int main(void)
{
    static wchar_t line[32768], script[32768];
    int count, at = 1;
    wchar_t **words = CommandLineToArgvW(GetCommandLineW(), &count);
    while (at < count && _wcsicmp(words[at], L"-Command")) at++;
    for (at++; at < count; at++) { wcscat(script, words[at]); wcscat(script, L" "); }
    wcscpy(line, L"cmd.exe /d /s /c \"");
    wchar_t *rest = script, *end;
    while (*rest == L'[' || *rest == L'$') {
        if (!(rest = wcspbrk(rest, L";\n"))) return 0;
        rest += 1 + wcsspn(rest + 1, L" \n");
    }
    if ((end = wcsstr(rest, L"exit $"))) *end = 0;
    for (end = rest + wcslen(rest); end > rest && wcschr(L"; \n", end[-1]); ) *--end = 0;
    wcscat(line, rest);
    wcscat(line, L"\"");
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION child;
    if (!CreateProcessW(0, line, 0, 0, TRUE, 0, 0, 0, &start, &child)) return 127;
    WaitForSingleObject(child.hProcess, INFINITE);
    DWORD code = 127;
    GetExitCodeProcess(child.hProcess, &code);
    return (int)code;
}
