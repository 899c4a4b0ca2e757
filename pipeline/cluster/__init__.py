"""What is done to a cluster from outside of it: starting runs, scheduling them, looking at them, finding out what is wrong."""
