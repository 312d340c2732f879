"""The HTML page of an explanation: its data, template, style and script."""
