"""What we use of other packages beyond what they promise: one guarded module for each of them."""
