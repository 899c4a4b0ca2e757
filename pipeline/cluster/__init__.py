"""Works on a cluster from outside of it: starts runs, schedules them, looks at them, and finds out what is wrong."""
