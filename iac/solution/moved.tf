# A deployment of an earlier version has these by the name of the one program that the host ran. Nothing is made anew for
# the name: the data, the address and the records of connections stay.
moved {
  from = aws_vpc.loki
  to   = aws_vpc.log_host
}

moved {
  from = aws_internet_gateway.loki
  to   = aws_internet_gateway.log_host
}

moved {
  from = aws_security_group.loki
  to   = aws_security_group.log_host
}

moved {
  from = aws_key_pair.loki
  to   = aws_key_pair.log_host
}

moved {
  from = aws_flow_log.loki
  to   = aws_flow_log.log_host
}

moved {
  from = aws_instance.loki
  to   = aws_instance.log_host
}

moved {
  from = aws_eip.loki
  to   = aws_eip.log_host
}
