"""The paths of the server, a file for each kind of thing. A router is made for each dialect that has it."""
