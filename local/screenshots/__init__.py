"""Pictures of every page in every state, and what the states are made of; the tests of accessibility visit them too."""
