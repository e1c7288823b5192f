"""Do the tests notice when the code is wrong? Small faults are put into it one by one, and the tests run."""
