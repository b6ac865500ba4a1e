"""The providers that come with ftkit. They are found through entry points, like anyone's."""
