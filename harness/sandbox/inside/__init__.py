"""What runs inside the sandbox: standard library only, loaded by a bare interpreter."""
