"""Journal, plant, subscriptions, wire codec, today's rows and history."""
