# What Terraform brings the fleet to: every protocol, both families and the alias. `port_info` may not say -1.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "url" { type = string }
variable "ssh" { type = string }

provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {
    lightsail = var.url
    sts       = var.url
  }
}

resource "aws_lightsail_instance_public_ports" "web" {
  instance_name = "web-1"
  port_info {
    protocol          = "tcp"
    from_port         = 22
    to_port           = 22
    cidrs             = [var.ssh]
    ipv6_cidrs        = ["2001:db8:10::/48"]
    cidr_list_aliases = ["lightsail-connect"]
  }
  port_info {
    protocol   = "udp"
    from_port  = 7000
    to_port    = 7010
    cidrs      = ["0.0.0.0/0"]
    ipv6_cidrs = ["::/0"]
  }
  port_info {
    protocol  = "icmp"
    from_port = 8
    to_port   = 0
    cidrs     = ["0.0.0.0/0"]
  }
  port_info {
    protocol   = "icmpv6"
    from_port  = 128
    to_port    = 0
    ipv6_cidrs = ["::/0"]
  }
}

resource "aws_lightsail_instance_public_ports" "all" {
  instance_name = "all-1"
  port_info {
    protocol   = "all"
    from_port  = 0
    to_port    = 65535
    cidrs      = ["198.51.100.0/24"]
    ipv6_cidrs = ["2001:db8::/32"]
  }
}
