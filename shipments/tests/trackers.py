"""What tests of the import share: the steps of the SOP, a day, and workbooks that a real program wrote."""

from __future__ import annotations

from datetime import date

TODAY = date(2026, 12, 20)
SOP = """
1.1 Principal recorded
1.2 Brand recorded
1.3 Supplier invoice number recorded
1.4 Invoice amount recorded
1.5 Funds requirement calculated
1.6 Supplier invoice received
2.1 Bill of lading number recorded
2.2 Departure recorded
2.3 Container count recorded
2.4 Quantity recorded
2.5 Invoice copy sent to C&C
2.6 Invoice receipt confirmed
3.1 LC issuing bank recorded
3.2 LC number recorded
3.3 Bank document collection date agreed
3.4 Funds requirement notified
3.5 Bank arrival notice received
4.0 DAN sent for signature
5.0 Signed DAN returned
6.0 Documents collected from bank
6.1 Documents handed to C&C
6.2 Documents received by C&C
7.0 Ministry approval confirmed
8.0 Cleared funds available
9.0 Bayan submitted
10.0 Customs duty paid
11.0 Bayan approved
12.0 Original bill of lading surrendered
13.0 Delivery order paid
14.0 Goods collected from port
15.0 Customs police check released
16.0 Goods received at warehouse
17.0 Receipt in good order confirmed
18.0 Insurance claim notified
"""
STEPS = [tuple(line.split(" ", 1)) for line in SOP.strip().splitlines()]
