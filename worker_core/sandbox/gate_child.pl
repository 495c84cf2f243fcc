# What gate_child.py does, at a tenth of its cost: see there. Linux on 64 bits only.
# Numbers: AF_INET 2, SOCK_STREAM 1, SOCK_DGRAM 2, SOL_SOCKET 1, SO_REUSEADDR 2, SCM_RIGHTS 1, MSG_NOSIGNAL 0x4000,
# LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET 1. No modules: each costs 1 ms.
my %given;
while (@ARGV) {
    my $word = shift;
    last if $word eq "--";
    my ($name, $value) = split /=/, $word, 2;
    $given{$name} = $value;
}
my ($sendmsg, $prlimit, $landlock_create, $landlock_restrict) = map { $_ + 0 } split /,/, $given{calls};

sub refuse { print STDERR "The call was not started, since $_[0] ($!).\n"; exit 126 }

for (split /,/, $given{groups}) {    # where that fails, the watcher is alone
    my $group;
    open($group, ">&=", $_) && syswrite($group, "0");
}
my $worker;
if ($given{network}) {
    my ($pair, $port, $count) = split /:/, $given{network};
    my ($byte, $listener, $datagrams, @more) = ("l");    # all are above $^F, so that they are closed when the tool begins
    my $told = open($worker, "+<&=", $pair)
        && socket($listener, 2, 1, 0)
        && setsockopt($listener, 1, 2, pack("i", 1))
        && bind($listener, pack("S n a4 x8", 2, $port, "\x7f\0\0\1"))
        && listen($listener, 128)
        && (!$count || socket($datagrams, 2, 2, 0) && !grep { !socket($more[$_], 2, 1, 0) } 0 .. $count - 1)
        && do {
            my @handed = map { fileno $_ } $listener, $count ? ($datagrams, @more) : ();
            my $piece = pack("P Q", $byte, 1);
            my $rights = pack("Q i i i* x![8]", 16 + 4 * @handed, 1, 1, @handed);    # struct cmsghdr and descriptors
            my $message = pack("Q L x4 P Q P Q i x4", 0, 0, $piece, 1, $rights, length $rights, 0);    # struct msghdr
            syscall($sendmsg, $pair + 0, $message, 0x4000) == 1;
        };
    print STDERR "The network of this call could not be set up ($!); it has none.\n" unless $told;
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
if ($given{scoped}) {
    my @nothing_but_sockets = (0, 0, 1);    # struct landlock_ruleset_attr; syscall takes no constants
    my $asked = pack("Q Q Q", @nothing_but_sockets);
    my $rules = syscall($landlock_create, $asked, 24, 0);
    $rules >= 0 && syscall($landlock_restrict, $rules, 0) == 0
        or refuse("abstract sockets of the machine cannot be kept from it");
}
sysread($worker, my $shut, 1) if $worker;    # the worker binds them meanwhile
open(my $file, "<&=", $given{variables}) or refuse("its variables cannot be read");
my @variables = split /\0/, do { local $/; <$file> };
close $file;
%ENV = map { split /=/, $_, 2 } @variables;
exec { $ARGV[0] } @ARGV;
print STDERR "$ARGV[0]: $!\n";
exit($! == 2 ? 127 : 126);    # ENOENT
