"""The node's HTTP interface: submit and ask over ``/v1``, DICOMweb in, health, metrics, and a page for people.

``app_from_node(services)`` makes the application and ``WebServer(config.http, app)`` serves it from a thread of its
own. Whoever assesses calls ``heat_png`` to store ``gradcam.png`` among the results, which the page lays over the
radiograph, and ``services.metrics.observe`` with each result's timings. See docs/http.md.
"""

from __future__ import annotations

from edge_sacro.node.web.app import app_from_node
from edge_sacro.node.web.heat import HEAT_NAME, heat_png
from edge_sacro.node.web.metrics import NodeMetrics
from edge_sacro.node.web.server import WebServer
from edge_sacro.node.web.services import Assessing, Services

__all__ = ["HEAT_NAME", "Assessing", "NodeMetrics", "Services", "WebServer", "app_from_node", "heat_png"]
