"""The command line `xeno`: thin, every command calls one function elsewhere."""
