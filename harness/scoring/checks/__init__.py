"""The check types: each module declares the checks of one subject."""
