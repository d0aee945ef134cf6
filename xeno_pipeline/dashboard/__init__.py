"""The dashboard: pages that merchants and agencies look at, over what `insights` answers."""
