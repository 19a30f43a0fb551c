"""Messages that wait in a service's own database until its transaction has committed."""
