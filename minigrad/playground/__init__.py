"""The playground: a page on which a network trains, with every gradient on show."""
