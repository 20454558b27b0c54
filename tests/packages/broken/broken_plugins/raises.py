"""Cannot be imported."""

message = "the library of 1843\nis gone"
raise OSError(message)
