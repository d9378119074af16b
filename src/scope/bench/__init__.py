"""`scope bench`: what a pipeline does on this machine, from a prompt or a camera to encoded pictures."""
