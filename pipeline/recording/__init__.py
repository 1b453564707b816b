"""How stages get into the metrics store: `stages` is the hook, the others read what a night has left on the disk."""
