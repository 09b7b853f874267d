"""What runs in each worker before the user's program: `sitecustomize`, which Python looks for on its path."""
