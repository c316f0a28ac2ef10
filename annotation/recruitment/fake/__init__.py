"""A Prolific that is none: the published API, signed links and webhooks, for tests and demos."""

from annotation.recruitment.fake.events import Delivery, signed_headers
from annotation.recruitment.fake.rows import FakeProblem
from annotation.recruitment.fake.server import FakeServer
from annotation.recruitment.fake.state import FakeProlific

__all__ = ["Delivery", "FakeProblem", "FakeProlific", "FakeServer", "signed_headers"]
