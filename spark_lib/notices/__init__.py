"""What people were told to be wrong in a lake: documents that remember it, and the sending of messages."""
