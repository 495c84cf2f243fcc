from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.policy.names import TOO_MUCH, command_names

LINES = {
    "ls -la 2>&1 | head -3": "ls head",
    "a && b || c & d; e\nf": "a b c d e f",
    "echo ${HOME}; rm x": "echo rm",
    'echo "${HOME}; done"': "echo",
    'echo "$(rm x)"': "echo rm",
    'echo "a $(rm `ls`)"': "echo rm ls",
    "echo '$(rm)' \\$(": "echo",
    "`rm`": "rm `rm`",
    "$NAME x": "$NAME",
    "X=1 Y=$(date) make": "date make",
    "X=$(rm -r a)": "rm",
    "a=(x $(y)) ; b": "y b",
    "echo $((1+2))": "echo",
    "find . -exec rm {} \\;": "find rm",
    "diff <(sort a) >(uniq b)": "diff sort uniq",
    "# rm\nls # rm": "ls",
    "ls a#b; rm": "ls rm",
    "env": "env",
    "env -i X=1 ls": "ls",
    "time nohup ls": "ls",
    "/usr/bin/rm x": "rm",
    "r\\m x; 'rm' x; \"r\"m x": "rm rm rm",
    "ls \\\n -la": "ls",
    "if [ -f x ]; then cat x; else ls; fi": "[ cat ls",
    "for f in a b; do wc $f; done": "wc",
    "while read x; do echo $x; done < f": "read echo",
    "case $x in\n a) ls;;\n b|c) cat y;;\nesac; rm z": "ls cat rm",
    "{ ls; pwd; }; (cd a && ls)": "ls pwd cd ls",
    ">out ls; ls &>/dev/null; echo x >&2 2>&-": "ls ls echo",
    "cat <<EOF\nfoo $(rm x)\nEOF\nls": "cat rm ls",
    "cat <<'EOF' | wc\nfoo $(rm x)\nEOF\nls": "cat wc ls",
    "cat <<-EOF\n\tfoo\n\tEOF\nls": "cat ls",
    "cat <<<word; ls": "cat ls",
    "awk '{print $(1); exit}' f | sort": "awk sort",
    "git commit -m 'a; b && c'": "git",
    "": "",
}


@pytest.mark.parametrize("line", LINES)
def test_the_programs_of_a_line(line: str) -> None:
    assert sorted(command_names(line)) == sorted(LINES[line].split())


@given(st.text(st.sampled_from(list("$(){}`'\"\\<>&|;# \n\t=ab1")), max_size=60))
def test_any_line_is_read_to_its_end(line: str) -> None:
    command_names(line)


@pytest.mark.parametrize("part", ["$(", "(", '"$(', "`", "${", "<(", "<<a\n", "$((", "case "])
def test_deep_nesting(part: str) -> None:
    command_names(part * 20_000)


def test_nesting_too_deep_to_be_looked_at_is_not_allowed() -> None:
    assert TOO_MUCH in command_names("$(" * 100 + "rm" + ")" * 100)
