"""The row simulator: requests, servers, meter, actuators and breaker on the loop for request-driven models."""
