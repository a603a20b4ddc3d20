"""What a report can't tell, in sentences for every page."""

LIMITS = (
    "Open is not used. A console that was open for somebody was reached only if his viewer ran, "
    "and that it ran does not say that the server let him in: the server knows that, and whether "
    "the VM's own password was right.",
    "That a viewer ran, whose it was, from when and until when is what the kernel said to the "
    "journal about sudo: nobody can write that about himself or another. Which console it was is "
    "sudo's word. Its name is the one that the policy has now for that server and port.",
    "Of what sudo refused there is only its line, and a user can write such a line about himself. "
    "Nobody can write one about another.",
    "It is told where sudo's PAM stack has pam_unix, as Debian's has. Where it has not, each start "
    "is among the refusals as allowed and not confirmed.",
    "The kernel logs ten refused packets a second at most, after a burst of twenty, and a program "
    "that tries again is refused again: their number says how insistent somebody was, not how "
    "many attempts he made.",
    "Who edited the policy with another editor than pam-spice edit is not known.",
    "Names are those that the accounts had in the records of that time, else those of now.",
    "The journal has a size, and what anybody writes to it pushes the oldest records out. Nothing "
    "here outlasts it; root can write and delete what he wants.",
)
