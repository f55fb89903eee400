package app

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/tlsfile"
)

// openTLS reads the files of both ports, before anything is opened that a
// wrong path would leave behind. Their faults are those of the configuration.
func (a *App) openTLS(context.Context) (err error) {
	web, devices := a.config.HTTP.TLS, a.config.MQTT.TLS
	if web.Certificate != "" {
		a.httpTLS, err = a.openPair("http.tls", tlsfile.Options{
			Files:      tlsfile.Files{Certificate: web.Certificate, Key: web.Key},
			NextProtos: []string{"h2", "http/1.1"},
		})
		if err != nil {
			return err
		}
	}
	if devices.Address != "" {
		a.mqttTLS, err = a.openPair("mqtt.tls", tlsfile.Options{
			Files:      tlsfile.Files{Certificate: devices.Certificate, Key: devices.Key, ClientCA: devices.ClientCA},
			ClientAuth: clientAuth(devices.ClientCertificates),
		})
		if err != nil {
			return err
		}
	}
	if a.httpTLS != nil || a.mqttTLS != nil {
		a.life.background("reload of TLS files by SIGHUP", a.reloadTLS)
	}
	return nil
}

func (a *App) openPair(section string, o tlsfile.Options) (*tlsfile.Source, error) {
	o.Log, o.Now = a.log, a.now
	source, err := tlsfile.Open(o)
	var fault *tlsfile.Fault
	if errors.As(err, &fault) {
		return nil, config.Faults{{Where: fault.File, Key: section + "." + string(fault.Role), Problem: fault.Problem}}
	}
	if err != nil {
		return nil, err
	}
	a.life.background("TLS files of "+section, source.Run)
	return source, nil
}

// certificateGauges let an operator be warned before clients are.
func (a *App) certificateGauges() {
	for name, source := range map[string]*tlsfile.Source{"http": a.httpTLS, "mqtt": a.mqttTLS} {
		if source != nil {
			a.metrics.Gauge("trefoil_"+name+"_certificate_expires_seconds", "When the certificate of the "+name+" port expires, in Unix time.",
				func() float64 { return float64(source.Expires().Unix()) })
		}
	}
}

func clientAuth(certificates string) tls.ClientAuthType {
	switch certificates {
	case "required":
		return tls.RequireAndVerifyClientCert
	case "optional":
		return tls.VerifyClientCertIfGiven
	default:
		return tls.NoClientCert
	}
}

// reloadTLS is for who does not want to wait until changed files are seen.
// Without TLS nobody listens to the signal, and it ends the process as usual.
func (a *App) reloadTLS(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			for _, source := range []*tlsfile.Source{a.httpTLS, a.mqttTLS} {
				if source != nil {
					source.Reload()
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// listenTLS opens the port of devices that use TLS, if there is one.
func (a *App) listenTLS(context.Context) error {
	if a.mqttTLS == nil {
		return nil
	}
	l, err := listen("mqtts", a.config.MQTT.TLS.Address)
	if err != nil {
		return err
	}
	a.mqttsListener = tls.NewListener(l, a.mqttTLS.Config())
	a.life.onStop("MQTT over TLS port", func(context.Context) error { return ignoreClosed(l.Close()) })
	return nil
}
