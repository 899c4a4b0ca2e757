"""Lists of a saved model for all users of a data set, as files that are whole or not there."""
