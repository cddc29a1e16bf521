"""Who calls, and how often: what stands around the views of all apps; the settings name it."""
