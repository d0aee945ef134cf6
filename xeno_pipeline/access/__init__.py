"""Who may ask the marts: people, keys, and connections that one of their secrets unlocks."""
