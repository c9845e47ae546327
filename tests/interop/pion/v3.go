//go:build v3

package main

import webrtc "github.com/pion/webrtc"

type (
	Channel            = webrtc.DataChannel
	ChannelInit        = webrtc.DataChannelInit
	Configuration      = webrtc.Configuration
	Connection         = webrtc.PeerConnection
	Message            = webrtc.DataChannelMessage
	SessionDescription = webrtc.SessionDescription
	SettingEngine      = webrtc.SettingEngine
)

const (
	typeOffer  = webrtc.SDPTypeOffer
	typeAnswer = webrtc.SDPTypeAnswer
)

var (
	gathered       = webrtc.GatheringCompletePromise
	newAPI         = webrtc.NewAPI
	withSettings   = webrtc.WithSettingEngine
	closeAfterSent = (*webrtc.DataChannel).Close
)
