"""The commands, one module each; what several of them need is in the folders beside this one."""
