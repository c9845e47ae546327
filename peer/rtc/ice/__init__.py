"""ICE (RFC 8445) on aioice (floor 2): candidates, gathering, TURN, reasons when it fails."""
