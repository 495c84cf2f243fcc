# What egress_child.py does, at a fifth of its cost. Arguments: number of sendmsg(2), socket of the worker, port, command.
# Numbers: AF_INET 2, AF_UNIX 1, SOCK_STREAM 1, SOL_SOCKET 1, SO_REUSEADDR 2, SCM_RIGHTS 1. No modules: each costs 1 ms.
my ($sendmsg, $path, $port, @command) = @ARGV;
delete $ENV{PERL_BADLANG};
my ($byte, $listener, $worker) = ("l");
my $listens = socket($listener, 2, 1, 0)
    && setsockopt($listener, 1, 2, pack("i", 1))
    && bind($listener, pack("S n a4 x8", 2, $port, "\x7f\0\0\1"))
    && listen($listener, 128);
$^F = 1023;    # what is opened from here on stays open in the tool: when the last copy is closed, the worker knows
my $told = $listens && socket($worker, 1, 1, 0) && connect($worker, pack("S a108", 1, $path)) && do {
    my $piece = pack("P Q", $byte, 1);
    my $rights = pack("Q i i i x4", 20, 1, 1, fileno $listener);    # struct cmsghdr and one descriptor
    my $message = pack("Q L x4 P Q P Q i x4", 0, 0, $piece, 1, $rights, 24, 0);    # struct msghdr
    syscall($sendmsg + 0, fileno $worker, $message, 0) == 1;
};
print STDERR "The network of this call could not be set up ($!); it has none.\n" unless $told;
exec { $command[0] } @command;
exit 127;
