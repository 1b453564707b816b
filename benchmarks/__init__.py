"""Claims about numbers, each as a command that anyone can run: `python -m benchmarks.<name>`."""
