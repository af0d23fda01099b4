"""The project under the Pythons, the versions of its dependencies, and the brokers that users have."""
