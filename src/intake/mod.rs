//! What comes in over HTTP: judged, serialised, journalled.
