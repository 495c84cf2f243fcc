# What gate_child.py does, at a tenth of its cost: see there. Linux on 64 bits only.
# Numbers: AF_INET 2, SOCK_STREAM 1, SOCK_DGRAM 2, SOL_SOCKET 1, SO_REUSEADDR 2, SCM_RIGHTS 1, MSG_NOSIGNAL 0x4000,
# SIGKILL 9, SIGCHLD 17, SIGIO 29, SIG_BLOCK 0, SIG_SETMASK 2, F_SETFL 4, F_SETOWN 8, O_ASYNC|O_NONBLOCK 0x2800,
# WNOHANG 1, PR_SET_PDEATHSIG 1, PR_CAPBSET_DROP 24, PR_SET_CHILD_SUBREAPER 36, PR_SET_NO_NEW_PRIVS 38. No modules: each
# costs 1 ms.
my %given;
while (@ARGV) {
    my $word = shift;
    last if $word eq "--";
    my ($name, $value) = split /=/, $word, 2;
    $given{$name} = $value;
}
my ($sendmsg, $prlimit, $restrict, $prctl, $seccomp, $sigmask, $sigwait, $kill, $capset, $close_range)
    = map { $_ + 0 } split /,/, $given{calls};

sub refuse { print STDERR "The call was not started, since $_[0] ($!).\n"; exit 126 }

sub no_network { print STDERR "The network of this call could not be set up ($!); it has none.\n" }

sub give {
    my ($pair, @handed) = @_;
    my $byte = "l";
    my $piece = pack("P Q", $byte, 1);
    my $rights = pack("Q i i i* x![8]", 16 + 4 * @handed, 1, 1, @handed);    # struct cmsghdr and descriptors
    my $message = pack("Q L x4 P Q P Q i x4", 0, 0, $piece, 1, $rights, length $rights, 0);    # struct msghdr
    return syscall($sendmsg, $pair + 0, $message, 0x4000) == 1;
}

sub shut { open(my $one, "<&=", $_) && close $one for @_ }

sub content {
    open(my $file, "<&=", $_[0]) or return;
    local $/;
    return scalar <$file>;
}

sub put_on {
    syscall($prctl, 38, 1, 0, 0, 0) == 0 && syscall($restrict, $_[0] + 0, 0) == 0 or refuse($_[1]);
    shut($_[0]);
}

sub children {
    my @found;
    opendir(my $all, "/proc") or return;
    for (grep { /^[0-9]+$/ } readdir $all) {
        open(my $file, "<", "/proc/$_/stat") or next;
        push @found, $_ if (<$file> // "") =~ /.*\) \S (\d+) /s && $1 == $$;
    }
    return @found;
}

sub keep {    # returns in the child alone
    my ($leash, $scoped, $keeper) = ($_[0] + 0, $_[1], $$);
    my ($all, $before, $wanted) = ("\xff" x 8, "\0" x 8, pack("Q", 1 << 16 | 1 << 28));
    syscall($prctl, 36, 1, 0, 0, 0) == 0 && syscall($sigmask, 0, $all, $before, 8) == 0 or refuse("it cannot be kept");
    my $tool = fork // refuse("it cannot be kept");
    if ($tool == 0) {
        syscall($prctl, 1, 9, 0, 0, 0) == 0 or refuse("it cannot be kept");
        exit 137 if getppid != $keeper;
        syscall($sigmask, 2, $before, 0, 8);
        return shut($leash);
    }
    open(STDIN, "<", "/dev/null") && open(STDOUT, ">", "/dev/null") && open(STDERR, ">", "/dev/null");
    syscall($close_range, 3, $leash - 1, 0) if $leash > 3;
    syscall($close_range, $leash + 1, 0xffffffff, 0);
    open(my $line, "<&=", $leash);
    fcntl($line, 8, $keeper) && fcntl($line, 4, 0x2800);
    my ($status, $read);
    until (defined $status or defined($read = sysread($line, my $nothing, 1)) && $read == 0) {
        syscall($sigwait, $wanted, 0, 0, 8);
        while ((my $ended = waitpid(-1, 1)) > 0) { $status = $? if $ended == $tool }
    }
    while (1) {
        syscall($kill, $_ + 0, 9) for $scoped ? -1 : children();
        last if (my $ended = waitpid(-1, 0)) < 0;
        $status = $? if $ended == $tool;
    }
    exit(($status & 127) ? 128 + ($status & 127) : $status >> 8);
}

sub confine {
    for my $capability (0 .. 63) { last unless syscall($prctl, 24, $capability, 0, 0, 0) == 0 }
    my ($version_3, $none) = (pack("L l", 0x20080522, 0), "\0" x 24);
    syscall($capset, $version_3, $none) == 0 or refuse("its capabilities cannot be dropped");
    put_on($given{walls}, "its walls cannot be set up");
    my $steps = content($given{filter});
    my $program = pack("S x6 P", length($steps) / 8, $steps);
    my $pair = $given{answers};
    my $listener = $pair ? syscall($seccomp, 1, 8, $program) : -1;
    if ($listener >= 0) {
        give($pair, $listener) or no_network();
        shut($listener);
    } else {
        no_network() if $pair;
        syscall($seccomp, 1, 0, $program) == 0 or refuse("its system calls cannot be filtered");
    }
    shut($pair) if $pair;
}

for (split /,/, $given{groups}) {    # where that fails, the watcher is alone
    my $group;
    open($group, ">&=", $_) && syswrite($group, "0");
}
my $worker;
if ($given{network}) {
    my ($pair, $port, $count) = split /:/, $given{network};
    my ($listener, $datagrams, @more);    # all are above $^F, so that they are closed when the tool begins
    my $told = open($worker, "+<&=", $pair)
        && socket($listener, 2, 1, 0)
        && setsockopt($listener, 1, 2, pack("i", 1))
        && bind($listener, pack("S n a4 x8", 2, $port, "\x7f\0\0\1"))
        && listen($listener, 128)
        && (!$count || socket($datagrams, 2, 2, 0) && !grep { !socket($more[$_], 2, 1, 0) } 0 .. $count - 1)
        && give($pair, map { fileno $_ } $listener, $count ? ($datagrams, @more) : ());
    no_network() unless $told;
    undef $worker unless $told && $count;
}
for (split /,/, $given{limits}) {
    my ($resource, $value) = split /:/;
    my $before = "\0" x 16;
    syscall($prlimit, 0, $resource + 0, 0, $before) == 0 or refuse("its limits cannot be read");
    my (undef, $most) = unpack "Q Q", $before;
    $value = $most if $value > $most;
    syscall($prlimit, 0, $resource + 0, pack("Q Q", $value, $value), 0) == 0 or refuse("its limits cannot be set");
}
put_on($given{scope}, "what others have cannot be kept from it") if $given{scope};
if ($given{leash}) {    # what its keeper may not reach is not the call's: then all that it may reach can be killed at once
    keep($given{leash}, $given{scope} && !kill(0, getppid));
    confine();
}
sysread($worker, my $shut, 1) if $worker;    # the worker binds them meanwhile
my @variables;
if ($given{order}) {
    my ($go, $words, $content) = split /:/, $given{order};
    my ($told, $file, $byte, $reads, $folder, $count);
    open($told, "<&=", $go) && sysread($told, $byte, 1) or exit 0;    # there is no worker any more
    ($reads, $folder, $count, @variables) = split /\0/, content($words) // refuse("its order cannot be read"), -1;
    pop @variables;    # behind the last NUL
    @ARGV = splice @variables, 0, $count;
    open($file, "<&=", $content) && (!$reads || open(STDIN, "<&", $file)) or refuse("its input cannot be read");
    chdir $folder or refuse("its folder is not there");
} else {
    @variables = split /\0/, content($given{variables}) // refuse("its variables cannot be read");
}
%ENV = map { split /=/, $_, 2 } @variables;
exec { $ARGV[0] } @ARGV;
print STDERR "$ARGV[0]: $!\n";
exit($! == 2 ? 127 : 126);    # ENOENT
