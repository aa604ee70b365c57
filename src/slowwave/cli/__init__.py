"""The command line: one short file per verb. What is heavy is imported inside functions, so that help is quick."""
