"""What the integration and console tests share: the program, the terminal, the host's state, waiting."""
