"""What all pages share: their style and colours, and the frame that lets only their script run."""

from minigrad.pages.html import bundle as bundle
from minigrad.pages.html import document as document
from minigrad.pages.html import frame as frame
from minigrad.pages.html import table as table
