"""What a host is: the other half of every verdict."""
