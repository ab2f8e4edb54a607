"""What is claimed about speed, for anyone to run, and the stand-in corpora that it runs on."""
