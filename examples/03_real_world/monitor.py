"""A monitor as one finds it: page when any sensor is more than 3.5 robust sigmas from its usual value."""


# poet: domain=ml_monitoring, optimize_for=alert_quality, cost=1:3, after=10
def is_anomaly(reading: list[float], usual: list[float], spread: list[float]) -> bool:
    """True when any of the nine sensors is far from its usual value."""
    distances = [abs(value - middle) / width for value, middle, width in zip(reading, usual, spread)]
    return max(distances) > 3.5  # poet: tune 1..60
