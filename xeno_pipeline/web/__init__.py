"""What web processes share: how they listen, and how they log."""
