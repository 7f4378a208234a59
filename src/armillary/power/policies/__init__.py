"""Row policies: pure functions of whole numbers, the same in a simulated row and on a live one."""
