"""Plan what must be asked, fill the response cache with it; knows no model library."""
