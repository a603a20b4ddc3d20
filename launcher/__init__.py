"""What a person runs: ``spice-open``. As the user, and trusted by nothing: the walls are the
kernel and sudo; this tells a person what they will say, and when the next time is."""
